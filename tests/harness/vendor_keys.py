"""A detector for the secret scan: vendors' API keys, which none of its own detectors knows."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class VendorKeyDetector(RegexBasedDetector):
    """`sk-…` as OpenAI, DashScope, DeepSeek, OpenRouter and Anthropic write them."""

    secret_type = "Vendor API key"
    denylist = (re.compile(r"\bsk-(?:[a-z0-9]{1,8}-){0,3}[A-Za-z0-9_]{20,}"),)
