"""`manage.py sync_models`: put into the catalogue what it lacks; change nothing that is there."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from chatplatform.kernel import outbound
from chatplatform.kernel.errors import AppError
from providers.adapters import adapter_for
from providers.adapters.base import Endpoint
from providers.bundled import BUNDLED
from providers.catalogue import add_missing, all_vendors, endpoint_of, operator_endpoint
from providers.completion import ModelInfo
from providers.models import AIModel
from providers.vendors import VENDORS

# Room for a vendor's models to grow between those of its neighbours; what nobody ranked, and what answers only when
# nothing else can, come after all of them.
APART, EXTRA, BUILT_IN = 100, 5000, 9000


class Command(BaseCommand):
    help = (
        "Adds the models this version knows, those of EXTRA_MODELS and the built-in ones to the catalogue. Rows that "
        "are there stay as they are: a model you switched off stays off."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--vendor",
            help="ask this vendor for its list instead. What a vendor with a key adds is switched off until you "
            "switch it on in the admin, because such lists also hold what is no chat model",
        )

    def handle(self, *args: Any, vendor: str | None = None, **options: Any) -> None:
        added = self.from_vendor(vendor) if vendor else self.known()
        self.stdout.write(f"{len(added)} models added, {AIModel.objects.count()} in the catalogue.")
        if settings.DEFAULT_MODEL and not vendor:
            self.warn_of_default()

    def known(self) -> list[AIModel]:
        """What needs nobody to be asked."""
        extra, added = self.extra(), []
        for number, (slug, models) in enumerate(BUNDLED.items(), start=1):
            added += add_missing(slug, models, first_position=number * APART)
        for slug, names in extra.items():
            added += add_missing(slug, map(ModelInfo, names), first_position=EXTRA)
        for slug, vendor in VENDORS.items():
            if vendor.built_in:
                added += add_missing(slug, self.ask(endpoint_of(vendor)), first_position=BUILT_IN)
        return added

    def extra(self) -> dict[str, list[str]]:
        """EXTRA_MODELS by vendor."""
        known, found = all_vendors(), dict[str, list[str]]()
        for entry in settings.EXTRA_MODELS:
            slug, _, name = entry.partition("/")
            if slug not in known or not name:
                raise CommandError(f"EXTRA_MODELS: {entry!r} is not vendor/name, with one of {', '.join(known)}.")
            found.setdefault(slug, []).append(name)
        return found

    def from_vendor(self, slug: str) -> list[AIModel]:
        """What the vendor itself lists, with what this version knows of it filled in."""
        vendor = all_vendors().get(slug)
        if vendor is None:
            raise CommandError(f"There is no vendor {slug!r}. There are {', '.join(all_vendors())}.")
        endpoint = operator_endpoint(vendor)
        if endpoint is None:
            raise CommandError(f"{slug} needs a key or an address in the settings before it can be asked.")
        known = {info.name: info for info in BUNDLED.get(slug, ())}
        listed = [known.get(info.name, info) for info in self.ask(endpoint)]
        return add_missing(slug, listed, first_position=EXTRA, active=not vendor.needs_key)

    def ask(self, endpoint: Endpoint) -> list[ModelInfo]:
        """The endpoint's own list."""
        try:
            return outbound.run(adapter_for(endpoint.vendor.dialect).list_models(endpoint))
        except AppError as failure:
            raise CommandError(f"{endpoint.vendor.slug}: {failure.message}") from failure

    def warn_of_default(self) -> None:
        vendor, _, name = settings.DEFAULT_MODEL.partition("/")
        rows = AIModel.objects.filter(is_active=True)
        if not (rows.filter(vendor=vendor, name=name) | rows.filter(name=settings.DEFAULT_MODEL)).exists():
            self.stderr.write(f"DEFAULT_MODEL={settings.DEFAULT_MODEL} is not in the catalogue, so it will not answer.")
