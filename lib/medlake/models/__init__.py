"""The models, by name. Adding one: a module that exports MODEL, and one line here."""

from medlake.models import decision_tree, linear_svm, logistic, random_forest
from medlake.models.model import Model

MODELS: dict[str, Model] = {
    m.name: m for m in (logistic.MODEL, linear_svm.MODEL, decision_tree.MODEL, random_forest.MODEL)
}
