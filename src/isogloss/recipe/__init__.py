"""A recipe is a run: one YAML file that states model, data, objective, optimiser, evaluation and expected scores.

`model` and `sections` say what the fields are, `loading` reads a file and reports all that is wrong with it at once.
"""

from isogloss.recipe.loading import (
    Check,
    load_recipe,
    parse_recipe,
    place_name,
    recipe_path,
    shipped_recipes,
)
from isogloss.recipe.model import LoraSettings, ModelSettings, NewModelSettings
from isogloss.recipe.sections import (
    EvaluateSettings,
    Expectation,
    Recipe,
    SourceSettings,
    TeacherSettings,
    TermSettings,
    TrainSettings,
)

__all__ = [
    "Check",
    "EvaluateSettings",
    "Expectation",
    "LoraSettings",
    "ModelSettings",
    "NewModelSettings",
    "Recipe",
    "SourceSettings",
    "TeacherSettings",
    "TermSettings",
    "TrainSettings",
    "load_recipe",
    "parse_recipe",
    "place_name",
    "recipe_path",
    "shipped_recipes",
]
