"""Product, property, licence and annotation sections of one owner (DSP0243 2.1.1 §9.5, §9.6, §9.4)."""

from collections.abc import Iterator

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import EnvironmentFile, Licence, Product, Property
from kensho_tui.ovf import xml
from kensho_tui.ovf.names import KENSHO, VMW
from kensho_tui.ovf.properties import base_type, rule
from kensho_tui.ovf.strings import Strings


class Sections:
    """What the sections of one VirtualSystem, collection or envelope say beside the hardware."""

    def __init__(
        self, element: etree._Element, owner: str, configuration: str, strings: Strings
    ) -> None:
        """Args: element: what holds the sections. owner: machine id, or "" for the appliance."""
        self.owner = owner
        self.products: list[Product] = []
        self.properties: list[Property] = []
        self.licences: list[Licence] = []
        self.environment_files: list[EnvironmentFile] = []
        self.findings: list[Finding] = []
        self.annotation = ""
        self._configuration = configuration
        self._strings = strings
        for section in xml.children(element):
            match xml.kind(section):
                case "ProductSection":
                    self._product(section)
                case "EulaSection":
                    for text in xml.children(section, "License"):
                        self.licences.append(Licence(strings.verbatim(text), owner))
                case "EnvironmentFilesSection":
                    for file in xml.children(section, "File"):
                        id_, path = xml.attr(file, "fileRef") or "", xml.attr(file, "path") or ""
                        self.environment_files.append(EnvironmentFile(owner, path, id_))
                case "AnnotationSection" if not self.annotation:
                    self.annotation = strings.message(xml.child(section, "Annotation"))

    def _product(self, section: etree._Element) -> None:
        product = Product(
            owner=self.owner,
            class_=xml.attr(section, "class") or "",
            instance=xml.attr(section, "instance") or "",
            **{
                field: self._strings.message(xml.child(section, name))
                for field, name in (
                    ("name", "Product"), ("vendor", "Vendor"), ("version", "Version"),
                    ("full_version", "FullVersion"), ("product_url", "ProductUrl"),
                    ("vendor_url", "VendorUrl"),
                )
            },
        )  # fmt: skip
        if product != Product(owner=self.owner):
            self.products.append(product)
        known = {each.key for each in self.properties}
        for found in self._properties(section, product):
            if found.key in known:
                self.findings.append(
                    Finding(
                        "property-twice",
                        Severity.WARNING,
                        f"The property '{found.key}' is asked twice; the first one holds.",
                        subject=self.owner,
                        clause="DSP0243 2.1.1 §9.5.1",
                        line=xml.line(section),
                    )
                )
                continue
            known.add(found.key)
            self.properties.append(found)

    def _properties(self, section: etree._Element, product: Product) -> Iterator[Property]:
        category = ""
        for element in xml.children(section, "Category", "Property"):
            if xml.kind(element) == "Category":
                category = self._strings.message(element)
                continue
            wanted = (xml.attr(element, "configuration") or "").split()
            if wanted and self._configuration not in wanted:
                continue
            yield self._property(element, product, category)

    def _property(self, element: etree._Element, product: Product, category: str) -> Property:
        key = xml.attr(element, "key") or ""
        full = ".".join(part for part in (product.class_, key, product.instance) if part)
        cim, vendor, password = base_type(xml.attr(element, "type") or "")
        configurable = xml.flag(element, "userConfigurable", default=False)
        vendor = element.get(f"{{{KENSHO}}}type", vendor)
        qualifiers = xml.attr(element, "qualifiers") or ""
        vendor_qualifiers = element.get(f"{{{VMW}}}qualifiers", "")
        if vendor_qualifiers.strip().lower().startswith("ip") and not vendor:
            vendor = "ip"
        found = Property(
            key=full,
            owner=self.owner,
            type=cim,
            qualifiers=qualifiers,
            default=self._default(element, configurable),
            configurable=configurable,
            password=password
            or xml.flag(element, "password", default=False)
            or xml.flag(element, "isPassword", default=False),
            label=self._strings.message(xml.child(element, "Label")),
            description=self._strings.message(xml.child(element, "Description")),
            category=category,
            product=product.name,
            vendor_type=vendor,
        )
        for unknown in rule(found).unknown:
            self.findings.append(
                Finding(
                    "qualifier-unknown",
                    Severity.INFO,
                    f"The qualifier '{unknown}' of property '{full}' is not checked.",
                    subject=self.owner,
                    clause="DSP0243 2.1.1 table 7",
                    line=xml.line(element),
                )
            )
        return found

    def _default(self, element: etree._Element, configurable: bool) -> str | None:
        """The Value of the configuration, else the attribute, else what an absent one means."""
        for value in xml.children(element, "Value"):
            wanted = (xml.attr(value, "configuration") or "").split()
            if self._configuration and self._configuration in wanted:
                return xml.attr(value, "value") or ""
        written = xml.attr(element, "value")
        if written is None:
            return None if configurable else ""
        return written
