"""The vendors: who sells models, at which address, in which dialect, with which manners. Pure data.

A vendor that copies OpenAI's chat completions is one more row in `VENDORS`, with the quirks that are its own. Keys and
other addresses come from the settings; an operator's `VendorSetting` row switches a vendor off, moves it, or adds one.
"""

from dataclasses import dataclass, field

from chatplatform.kernel.words import words


@dataclass(frozen=True)
class Quirks:
    """Where a vendor differs from the others that speak its dialect."""

    # The request field that caps the answer's length.
    max_tokens_field: str = "max_tokens"
    # The field of a delta in which a reasoning model's thinking arrives.
    thinking_field: str = "reasoning_content"
    # Whether a stream may be asked to end with the token counts (`stream_options.include_usage`).
    usage_in_stream: bool = True
    # Whether the first token of any of its models may be long in coming, as with one that reasons.
    slow_first_token: bool = False
    # Pairs of request header and the name of the setting that holds its value.
    headers_from_settings: tuple[tuple[str, str], ...] = ()
    # What is asked to find out whether a key is good: something that the vendor shows to no other.
    probe_path: str = "/models"


@dataclass(frozen=True)
class Vendor:
    """One seller of models. `name` is what people read; it takes no part in comparisons, being in two languages."""

    slug: str
    name: str = field(compare=False)
    dialect: str
    base_url: str = ""
    needs_key: bool = True
    quirks: Quirks = Quirks()

    @property
    def built_in(self) -> bool:
        """Whether it runs inside this process, without an address."""
        return self.dialect == "scripted"


_ROWS = (
    Vendor("scripted", words("Built-in", "内置"), dialect="scripted", needs_key=False),
    Vendor(
        "openai",
        words("OpenAI", "OpenAI"),
        dialect="openai",
        base_url="https://api.openai.com/v1",
        # Its reasoning models refuse `max_tokens`; every current one takes the newer name.
        quirks=Quirks(max_tokens_field="max_completion_tokens"),
    ),
    Vendor(
        "dashscope",
        words("Alibaba Cloud Model Studio", "阿里云百炼"),
        dialect="openai",
        base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
    ),
    Vendor(
        "openrouter",
        words("OpenRouter", "OpenRouter"),
        dialect="openai",
        base_url="https://openrouter.ai/api/v1",
        quirks=Quirks(
            thinking_field="reasoning",
            headers_from_settings=(("HTTP-Referer", "HTTP_REFERER"), ("X-Title", "X_TITLE")),
            probe_path="/key",  # its list of models is public
        ),
    ),
    Vendor("deepseek", words("DeepSeek", "深度求索"), dialect="openai", base_url="https://api.deepseek.com"),
    Vendor("moonshot", words("Moonshot AI", "月之暗面"), dialect="openai", base_url="https://api.moonshot.cn/v1"),
    Vendor("zhipu", words("Zhipu AI", "智谱"), dialect="openai", base_url="https://open.bigmodel.cn/api/paas/v4"),
    Vendor("siliconflow", words("SiliconFlow", "硅基流动"), dialect="openai", base_url="https://api.siliconflow.cn/v1"),
    Vendor(
        "ollama",
        words("Ollama", "Ollama"),
        dialect="openai",
        needs_key=False,
        # A model that nobody has used for a while is read from disk before it answers.
        quirks=Quirks(thinking_field="reasoning", slow_first_token=True),
    ),
    Vendor(
        "vllm",
        words("vLLM", "vLLM"),
        dialect="openai",
        needs_key=False,
        # Older releases say `reasoning_content`: https://docs.vllm.ai/en/v0.11.2/features/reasoning_outputs/
        quirks=Quirks(thinking_field="reasoning"),
    ),
    Vendor("custom", words("OpenAI-compatible server", "兼容 OpenAI 的服务"), dialect="openai", needs_key=False),
)

VENDORS: dict[str, Vendor] = {vendor.slug: vendor for vendor in _ROWS}
"""Every vendor known without asking the database, by slug."""
