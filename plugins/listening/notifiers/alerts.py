"""Tells people that something failed, in the way that an Airflow connection describes."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseNotifier
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow.sdk import Connection, Context

TIMEOUT_SECONDS = 20
HOW_TO = "Create Airflow connection {!r}, of type smtp (with extra from_email and to_emails) or http (a webhook)."


class AlertNotifier(BaseNotifier):
    """Sends a text by mail or to a webhook.

    The connection's type decides:

    * `smtp`: host, port, login, password; extra `from_email`, `to_emails` (comma-separated) and what SmtpHook knows,
      such as `disable_tls`, `disable_ssl`.
    * `http`: posts JSON `{"text": …}`, as Slack, Mattermost and Teams workflows take it, with dag_id, run_id and
      subject beside it. Host is the whole address, or its host (then `schema` is the protocol, https unless given, and
      extra `path` the path); the password, if any, goes into `Authorization: Bearer …`.

    :param subject: one line.
    :param text: the message, plain text.
    :param conn_id: the connection; without it the message is logged with how to create one.
    """

    def __init__(self, *, subject: str, text: str, conn_id: str = "listening_alerts") -> None:
        super().__init__()
        self.subject = subject
        self.text = text
        self.conn_id = conn_id

    def notify(self, context: Context) -> None:
        try:
            connection = BaseHook.get_connection(self.conn_id)
        except AirflowNotFoundException:
            self.log.warning("Nobody was told: %s\n%s\n%s", self.subject, self.text, HOW_TO.format(self.conn_id))
            return
        if connection.conn_type == "smtp":
            self._mail(connection)
        elif connection.conn_type in ("http", "https"):
            self._post(connection, context)
        else:
            raise ValueError(f"{self.conn_id} is of type {connection.conn_type!r}. {HOW_TO.format(self.conn_id)}")
        self.log.info("Told through %s (%s): %s", self.conn_id, connection.conn_type, self.subject)

    def _mail(self, connection: Connection) -> None:
        from airflow.providers.smtp.hooks.smtp import SmtpHook

        extra = connection.extra_dejson
        if not (recipients := extra.get("to_emails")):
            raise ValueError(f"{self.conn_id} does not say whom to tell: set `to_emails` in its extra.")
        with SmtpHook(smtp_conn_id=self.conn_id) as hook:
            hook.send_email_smtp(to=recipients, subject=self.subject, html_content=f"<pre>{escape(self.text)}</pre>")

    def _post(self, connection: Connection, context: Context) -> None:
        import requests

        headers = {"Authorization": f"Bearer {connection.password}"} if connection.password else {}
        dag_run: Any = context["dag_run"]
        response = requests.post(
            _url(connection),
            json={
                "text": f"*{self.subject}*\n{self.text}",
                "subject": self.subject,
                "dag_id": dag_run.dag_id,
                "run_id": dag_run.run_id,
            },
            headers=headers,
            timeout=TIMEOUT_SECONDS,
        )
        response.raise_for_status()


def _url(connection: Connection) -> str:
    host = connection.host or ""
    if "://" in host:
        return host
    port = f":{connection.port}" if connection.port else ""
    path = str(connection.extra_dejson.get("path", "")).lstrip("/")
    return f"{connection.schema or 'https'}://{host}{port}/{path}"
