"""Tell people of failures, warnings and late data, once a cause: Slack, a webhook of any kind, e-mail."""
