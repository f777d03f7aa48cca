#!/bin/sh
# systemd.sh FOLDER…: systemd as process 1 of namespaces of its own, until its parent ends. It knows no unit of this
# machine (systemd-tmpfiles, say, would empty /tmp), and sees /tmp, /run and /etc/systemd of its own, and the FOLDERs.
set -eu
mount --make-rprivate /
mount -t proc proc /proc
mount --bind /etc /etc
mount -o remount,bind,ro /etc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/none
number=0
for folder; do
  number=$((number + 1))
  mkdir "/run/kept$number"
  mount --bind "$folder" "/run/kept$number"
done
for folder in /tmp /var/lib/systemd /etc/systemd/system; do
  mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
mkdir -p /var/lib/systemd/timers
number=0
for folder; do
  number=$((number + 1))
  mkdir -p "$folder"
  mount --bind "/run/kept$number" "$folder"
done
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
for target in sysinit basic timers shutdown network-online; do
  printf '[Unit]\nDescription=%s\n' "$target" >"/etc/systemd/system/$target.target"
done
# It missed its last times: with Persistent=true it is due as soon as it is there.
touch -d '3 days ago' /var/lib/systemd/timers/stamp-stockctl-backup-project-local.timer
export container=stockctl SYSTEMD_UNIT_PATH=/etc/systemd/system SYSTEMD_GENERATOR_PATH=/run/none
exec /lib/systemd/systemd --system --unit=timers.target --log-target=console --show-status=no --default-standard-output=null
