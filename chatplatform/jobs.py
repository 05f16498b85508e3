"""The table of periodic jobs and how often each runs, in UTC. What they do is in each app's `tasks.py`."""

from huey import crontab
from huey.contrib.djhuey import db_periodic_task

from accounts.tasks import forget_old_devices
from providers.tasks import release_forgotten

# At night in most of Europe and around noon in China: nobody notices a few rows fewer.
db_periodic_task(crontab(hour="4", minute="10"))(forget_old_devices)
# What a lost call may cost is held against its owner until then, which is no reason to look more often.
db_periodic_task(crontab(minute="40"))(release_forgotten)
