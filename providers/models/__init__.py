"""The rows behind the catalogue: which models there are, and what an operator changed about vendors."""

from providers.models.ai_model import AIModel
from providers.models.vendor_setting import VendorSetting

__all__ = ["AIModel", "VendorSetting"]
