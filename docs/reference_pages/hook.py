"""The hook of mkdocs that adds the pages of the reference, made from the code whenever the site is built."""

from __future__ import annotations

from commands import command_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from python_names import name_pages
from recipes import recipe_pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to those that lie in the folder."""
    for pages in (command_pages(), name_pages(), recipe_pages()):
        for place, text in pages.items():
            files.append(File.generated(config, place, content=text))
    return files
