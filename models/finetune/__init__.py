"""Teaching a finished model one more style or subject by pictures of one's own."""

from .train import finetune_folder, read_finetune

__all__ = ["finetune_folder", "read_finetune"]
