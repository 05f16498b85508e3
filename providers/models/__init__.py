"""The rows behind the catalogue and the ledger: which models there are, what an operator changed about vendors, and
what each call cost."""

from providers.models.ai_model import AIModel
from providers.models.usage import UsageRecord
from providers.models.vendor_setting import VendorSetting

__all__ = ["AIModel", "UsageRecord", "VendorSetting"]
