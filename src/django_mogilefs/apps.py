from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register


class MogileFSConfig(AppConfig):
    """Needed only for the system checks and the management commands."""

    name = "django_mogilefs"
    verbose_name = "MogileFS"

    def ready(self) -> None:
        # Not above: Django imports this module before it is ready for models and storages.
        from django_mogilefs import checks, front_checks

        for check in (
            checks.check_options,
            checks.check_urls,
            checks.check_static,
            front_checks.check_serving,
        ):
            register(check, checks.TAG)
        for deploy_check in (
            checks.check_front,
            front_checks.check_probe,
            checks.only_when_asked(checks.check_cluster),
            checks.only_when_asked(front_checks.look_from_outside),
        ):
            register(deploy_check, checks.TAG, deploy=True)
