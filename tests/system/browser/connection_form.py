"""The connection form in Airflow's UI: what a person does there, on Airflow 2.11 and 3.x."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tools.airflow_env import is_airflow_2

STANDARD_FIELDS = ("description", "host", "login", "password", "schema")
#: Whether a placeholder is cut off: its width in pixels, compared with the field's.
PLACEHOLDER_IS_CUT = """field => {
    const context = document.createElement("canvas").getContext("2d"), style = getComputedStyle(field);
    context.font = style.font;
    const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    return context.measureText(field.placeholder).width > field.clientWidth - padding;
}"""


class ConnectionForm:
    """The form of Airflow 3.x: a dialog over the list of connections."""

    def __init__(self, page: Page, url: str, conn_id: str) -> None:
        self.page, self.url, self.conn_id = page, url, conn_id

    @property
    def form(self) -> Locator:
        return self.page.get_by_role("dialog")

    def create(self) -> None:
        """Open the form of a new connection."""
        self.page.goto(f"{self.url}/connections")
        self.page.get_by_role("button", name="Add Connection").click()
        self.form.locator("[name=connection_id]").fill(self.conn_id)
        self.form.get_by_role("combobox").fill("Business Messenger")
        self.form.get_by_role("combobox").press("Enter")

    def edit(self) -> None:
        """Open the form of the connection that exists."""
        self.page.goto(f"{self.url}/connections")
        self._button("Edit Connection").click()

    def field(self, name: str) -> Locator:
        """Return a field; the form shows one of its sections at a time."""
        is_standard = name in STANDARD_FIELDS
        section = "Standard Fields" if is_standard else "Extra Fields"
        button = self.form.get_by_role("button", name=section, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
        return self.form.locator(f"[name={name}]" if is_standard else f"[name=element_{name}]")

    def tick(self, name: str) -> None:
        field = self.field(name)
        field.locator("xpath=..").click()  # the switch; the checkbox itself is hidden
        expect(field).to_be_checked()

    def description(self, name: str) -> str:
        """Return the text around a custom field."""
        return self.field(name).locator("xpath=ancestor::*[@role='group'][1]").inner_text()

    def save(self) -> None:
        self.form.get_by_role("button", name="Save").click()
        expect(self.form).to_be_hidden()

    def test(self) -> str:
        """Press the button Test of the list, which tests what is saved, and return the message.

        The list shows the message of a failure only; of a success, the button turns green.
        """
        if self.form.is_visible():
            self.save()
        button = self._button("Test Connection")
        with self.page.expect_response(lambda response: response.url.endswith("/connections/test")) as got:
            button.click()
        expect(button.locator("svg[color=green], svg[color=red]")).to_be_visible()
        if button.locator("svg[color=green]").is_visible():
            return str(got.value.json()["message"])
        return self.page.locator("[data-scope=toast][data-part=description]").inner_text()

    def _button(self, name: str) -> Locator:
        row = self.page.get_by_role("row").filter(has_text=self.conn_id)
        return row.get_by_role("button", name=name)


class ConnectionForm2(ConnectionForm):
    """The form of Airflow 2.11: a page of its own."""

    @property
    def form(self) -> Locator:
        return self.page.locator("form#model_form")

    def create(self) -> None:
        self.page.goto(f"{self.url}/connection/add")
        self.form.locator("#conn_id").fill(self.conn_id)
        self.form.locator("#conn_type").select_option("bm", force=True)

    def edit(self) -> None:
        self.page.goto(f"{self.url}/connection/list/")
        self.page.get_by_role("row").filter(has_text=self.conn_id).locator("a[href*='/edit/']").click()

    def field(self, name: str) -> Locator:
        return self.form.locator(f"#{name}" if name in STANDARD_FIELDS else f"#extra__bm__{name}")

    def tick(self, name: str) -> None:
        self.field(name).check()

    def description(self, name: str) -> str:
        return self.field(name).locator("xpath=ancestor::tr[1]").inner_text()

    def save(self) -> None:
        with self.page.expect_navigation():
            self.form.get_by_role("button", name="Save").click()

    def test(self) -> str:
        """Test what is in the form, where a saved secret is not filled in. Failures are green, too."""
        with self.page.expect_response(lambda response: response.url.endswith("/connections/test")):
            self.page.get_by_role("button", name="Test").click()
        return self.page.locator(".alert-success, .alert-error").inner_text().strip()


def connection_form(page: Page, url: str, conn_id: str) -> ConnectionForm:
    return (ConnectionForm2 if is_airflow_2() else ConnectionForm)(page, url, conn_id)
