"""The table of periodic jobs and how often each runs, in UTC. What they do is in each app's `tasks.py`."""

from huey import crontab
from huey.contrib.djhuey import db_periodic_task

from accounts.tasks import forget_old_devices

# At night in most of Europe and around noon in China: nobody notices a few rows fewer.
db_periodic_task(crontab(hour="4", minute="10"))(forget_old_devices)
