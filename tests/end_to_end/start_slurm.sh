#!/bin/bash
# Start a cluster of one node, and stay.
set -euo pipefail
chmod 666 /dev/fuse
install -d -o munge -g munge -m 755 /run/munge
head -c 1024 /dev/urandom >/etc/munge/munge.key
chown munge: /etc/munge/munge.key
chmod 400 /etc/munge/munge.key
su -s /bin/sh munge -c /usr/sbin/munged
install -d -o slurm -g slurm /var/lib/slurm /var/lib/slurm/ctld /var/lib/slurm/d /var/log/slurm /run/slurm
cat >/etc/slurm/slurm.conf <<C
ClusterName=paper
SlurmctldHost=$(hostname)
SlurmUser=slurm
AuthType=auth/munge
StateSaveLocation=/var/lib/slurm/ctld
SlurmdSpoolDir=/var/lib/slurm/d
SlurmctldPidFile=/run/slurm/ctld.pid
SlurmdPidFile=/run/slurm/d.pid
SlurmctldLogFile=/var/log/slurm/ctld.log
SlurmdLogFile=/var/log/slurm/d.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
NodeName=$(hostname) CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=short Nodes=ALL Default=YES MaxTime=01:00:00 State=UP
C
echo 'CgroupPlugin=disabled' >/etc/slurm/cgroup.conf
slurmctld
slurmd
sleep infinity
