"""Where a model is: `bundled`, a folder, or a name on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from isogloss.errors import MissingExtraError, ModelError
from isogloss.models.bundled import BUNDLED, bundled_model
from isogloss.models.prompts import LOGGER

HUB_NAME = re.compile(r"^[\w][\w.-]*(/[\w][\w.-]*)?$", re.ASCII)
# Safetensors, configurations and tokenizers; no pickled weights, no exports for other engines.
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.py", "*.jinja"]
EXPORT_FILES = ["onnx/*", "openvino/*"]


def resolve_model(path_or_name: str | Path) -> Path:
    """The folder of a model, fetched from the hub where it is the name of one.

    Args:
        path_or_name: Text is a name first, so that `bundled` means the same wherever a command runs; `./bundled`, or a
            `Path`, is a folder.

    Raises:
        ModelError: If there is no such folder and no such model.
    """
    if path_or_name == BUNDLED:
        if Path(BUNDLED).is_dir():
            LOGGER.warning("'%s' is the model of the package, not the folder of that name here: ./%s", BUNDLED, BUNDLED)
        return bundled_model()
    path = Path(path_or_name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ModelError(f"{path} is a file", next_step="Give the path of the model folder.")
    if isinstance(path_or_name, Path) or not HUB_NAME.match(path_or_name):
        raise ModelError(f"There is no model folder {path}", next_step=f"Check the path, or use '{BUNDLED}'.")
    return _fetch(path_or_name)


def _fetch(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"There is no folder '{name}', and fetching it from the hub", "hub") from missing
    # Names without an owner are models of the sentence-transformers organisation.
    full_name = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return Path(snapshot_download(full_name, allow_patterns=HUB_FILES, ignore_patterns=EXPORT_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as failed:
        reason = str(failed).strip().splitlines()[0] if str(failed).strip() else type(failed).__name__
        raise ModelError(
            f"'{name}' is no folder here, and the hub did not give it: {reason}",
            next_step=f"Check the path or the name, the network, and HF_HUB_OFFLINE; '{BUNDLED}' needs no network.",
        ) from failed
