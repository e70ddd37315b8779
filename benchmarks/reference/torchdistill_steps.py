"""Training steps by torchdistill (Matsubara, arXiv 2011.12913), as its configuration files set them up.

Its TrainingBox and DistillationBox run the model, the loss and the optimizer; data loaders are left out, since the other
sides have their batch in memory too. Deep mutual learning is its distillation of two networks that both learn.
"""

import torch
from torchdistill.core.distillation import get_distillation_box
from torchdistill.core.interfaces.registry import register_forward_proc_func
from torchdistill.core.training import get_training_box
from torchdistill.losses.mid_level import KDLoss
from torchdistill.losses.registry import register_mid_level_loss

from labels import IndependentStep
from mcl import SGD


@register_forward_proc_func
def forward_logits(model, sample_batch, targets=None, supp_dict=None, **kwargs):
    """Our networks also return features and maps."""
    return model(sample_batch)[0]


def without_gradient(io_dict):
    return {path: {io: value.detach() for io, value in values.items()} for path, values in io_dict.items()}


@register_mid_level_loss
class StudentFromTeacher(KDLoss):
    """KDLoss whose target is constant though the teacher learns too."""

    def forward(self, student_io_dict, teacher_io_dict, targets=None, *args, **kwargs):
        return super().forward(student_io_dict, without_gradient(teacher_io_dict), targets)


@register_mid_level_loss
class TeacherFromStudent(KDLoss):
    """The same in the other direction."""

    def forward(self, student_io_dict, teacher_io_dict, targets=None, *args, **kwargs):
        return super().forward(teacher_io_dict, without_gradient(student_io_dict), targets)


FROM_LABELS = {
    "criterion": {"key": "CrossEntropyLoss", "kwargs": {}},
    "criterion_wrapper": {
        "key": "SimpleLossWrapper",
        "kwargs": {
            "input": {"is_from_teacher": False, "module_path": ".", "io": "output"},
            "target": {"uses_label": True},
        },
    },
    "weight": 1.0,
}


def from_peer(key):
    """Cross-entropy and divergence from the other network's predictions, each counted once."""
    kwargs = {
        "student_module_path": ".",
        "student_module_io": "output",
        "teacher_module_path": ".",
        "teacher_module_io": "output",
        "temperature": 1.0,
        "alpha": 1.0,
        "beta": 1.0,
    }
    return {"criterion": {"key": key, "kwargs": kwargs}, "weight": 1.0}


def config(models, terms):
    """What a configuration file says of training."""
    return {
        "num_epochs": 1,
        **{name: {"forward_proc": "forward_logits"} for name in models},
        "optimizer": {"key": "SGD", "kwargs": dict(SGD)},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
    }


class TorchdistillStep(IndependentStep):
    """One step of a box: one network by cross-entropy, or two that distil from each other."""

    def __init__(self, models, classes, batch, is_bfloat16, size=32):
        super().__init__(models, classes, batch, is_bfloat16, size)
        place = {"device": torch.device("cpu"), "device_ids": [], "distributed": False, "lr_factor": 1}
        networks = list(self.cohort.network)
        if len(networks) == 1:
            self.box = get_training_box(networks[0], {}, config(["model"], {"ce": FROM_LABELS}), **place)
        else:
            teacher, student = networks
            terms = {key: from_peer(key) for key in ("StudentFromTeacher", "TeacherFromStudent")}
            self.box = get_distillation_box(teacher, student, {}, config(["teacher", "student"], terms), **place)
        self.box.pre_epoch_process(epoch=0)

    def step(self):
        self.box.pre_forward_process()
        loss = self.box.forward_process(self.images, self.labels, supp_dict={})
        self.box.post_forward_process(loss=loss)
        return {"total": loss.item()}
