"""The models this version knows, vendor by vendor, so that a fresh catalogue has something in it.

Prices are list prices as the vendors published them in November 2026, in the currency they were published in, for a
short prompt without cache or batch discount; where a vendor charges more at peak times, the peak price. **They go out
of date: operators check them against their own contracts**, in the admin, where a change is never overwritten. An
empty price is one that could not be confirmed. So do models: one that its vendor has announced to shut down soon is
left out, and a vendor's own list can be asked for at any time (`manage.py sync_models --vendor openai`).
"""

from providers.completion import ModelInfo

_SEES, _CALLS, _REASONS = "vision", "function_call", "reasoning"


def _model(
    name: str,
    shown: str,
    window: int,
    longest: int | None,
    prices: tuple[str, str] | None,
    currency: str,
    *capabilities: str,
) -> ModelInfo:
    reads, writes = prices or (None, None)
    return ModelInfo(
        name=name,
        display_name=shown,
        context_length=window,
        max_output=longest,
        input_price=reads,
        output_price=writes,
        currency=currency,
        capabilities=capabilities,
    )


BUNDLED: dict[str, tuple[ModelInfo, ...]] = {
    "openai": (
        _model("gpt-6-sol", "GPT-6 Sol", 1_050_000, 128_000, ("2", "10"), "USD", _SEES, _CALLS, _REASONS),
        _model("gpt-6-luna", "GPT-6 Luna", 1_050_000, 128_000, ("0.10", "0.50"), "USD", _SEES, _CALLS, _REASONS),
        # These four are served until 14 January 2027.
        _model("gpt-4o", "GPT-4o", 128_000, 16_384, ("2.50", "10"), "USD", _SEES, _CALLS),
        _model("gpt-4o-mini", "GPT-4o mini", 128_000, 16_384, ("0.15", "0.60"), "USD", _SEES, _CALLS),
        _model("gpt-4.1", "GPT-4.1", 1_047_576, 32_768, ("2", "8"), "USD", _SEES, _CALLS),
        _model("gpt-4.1-mini", "GPT-4.1 mini", 1_047_576, 32_768, ("0.40", "1.60"), "USD", _SEES, _CALLS),
    ),
    "dashscope": (
        # The price up to 32K tokens of input; beyond that 4/16 and, from 128K on, 7/28.
        _model("qwen3-max", "Qwen3 Max", 262_144, 65_536, ("2.5", "10"), "CNY", _CALLS),
        _model("qwen3.8-max", "Qwen3.8 Max", 1_000_000, None, ("12", "36"), "CNY", _SEES, _CALLS, _REASONS),
        _model("qwen-plus", "Qwen Plus", 1_000_000, 32_768, ("0.8", "2"), "CNY", _CALLS),
        _model("qwen-flash", "Qwen Flash", 1_000_000, 32_768, ("0.15", "1.5"), "CNY", _CALLS),
        _model("qwen-turbo", "Qwen Turbo", 131_072, 16_384, ("0.3", "0.6"), "CNY", _CALLS),
    ),
    "deepseek": (
        _model("deepseek-flash", "DeepSeek Flash", 1_000_000, 384_000, ("2", "8"), "CNY", _SEES, _CALLS, _REASONS),
        _model("deepseek-v4-pro", "DeepSeek V4 Pro", 1_000_000, 384_000, ("9", "27"), "CNY", _CALLS, _REASONS),
    ),
    "moonshot": (
        _model("kimi-k3", "Kimi K3", 1_048_576, None, None, "CNY", _CALLS, _REASONS),
        _model("kimi-k2.6", "Kimi K2.6", 262_144, 262_144, None, "CNY", _SEES, _CALLS, _REASONS),
        _model("moonshot-v1-8k", "Moonshot v1 8K", 8_192, None, ("2", "10"), "CNY", _CALLS),
        _model("moonshot-v1-32k", "Moonshot v1 32K", 32_768, None, ("5", "20"), "CNY", _CALLS),
        _model("moonshot-v1-128k", "Moonshot v1 128K", 131_072, None, ("10", "30"), "CNY", _CALLS),
    ),
    "zhipu": (
        _model("glm-5.3", "GLM-5.3", 1_000_000, None, ("8", "28"), "CNY", _CALLS, _REASONS),
        _model("glm-5.3-flash", "GLM-5.3 Flash", 1_000_000, None, ("0.8", "2.8"), "CNY", _SEES, _CALLS, _REASONS),
        _model("glm-4.5-air", "GLM-4.5 Air", 131_072, 98_304, ("0.8", "6"), "CNY", _CALLS, _REASONS),
        _model("glm-4-flash-250414", "GLM-4 Flash", 128_000, 16_384, ("0", "0"), "CNY", _CALLS),
    ),
    "openrouter": (
        _model("openai/gpt-6-sol", "GPT-6 Sol", 1_050_000, 128_000, ("2", "10"), "USD", _SEES, _CALLS, _REASONS),
        _model("openai/gpt-6-luna", "GPT-6 Luna", 1_050_000, 128_000, ("0.10", "0.50"), "USD", _SEES, _CALLS, _REASONS),
        _model("openai/gpt-4o", "GPT-4o", 128_000, 16_384, ("2.50", "10"), "USD", _SEES, _CALLS),
        _model(
            "deepseek/deepseek-v4-flash",
            "DeepSeek V4 Flash",
            1_048_576,
            None,
            ("0.14", "0.28"),
            "USD",
            _CALLS,
            _REASONS,
        ),
        _model("z-ai/glm-4.6", "GLM-4.6", 202_752, None, ("0.40", "1.75"), "USD", _CALLS, _REASONS),
    ),
    "siliconflow": (
        _model(
            "deepseek-ai/DeepSeek-V4-Flash",
            "DeepSeek V4 Flash",
            1_000_000,
            None,
            ("0.14", "0.28"),
            "USD",
            _CALLS,
            _REASONS,
        ),
        _model("deepseek-ai/DeepSeek-R1", "DeepSeek R1", 163_840, None, ("0.50", "2"), "USD", _CALLS, _REASONS),
        _model("Qwen/Qwen3-32B", "Qwen3 32B", 131_072, None, ("1", "4"), "CNY", _CALLS, _REASONS),
        _model("Qwen/Qwen3-8B", "Qwen3 8B", 131_072, None, ("0.06", "0.06"), "USD", _CALLS, _REASONS),
    ),
}
