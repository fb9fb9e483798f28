#!/usr/bin/env bash
# Runs a command beside a Slurm cluster of one node, this machine, which ends with it. For root, on Debian after
#   apt-get install slurm-wlm slurmdbd munge mariadb-server-core
#   tests/clusters/slurm_one_node.sh mtlbench run ... hydra/launcher=submitit_slurm
# Nothing of it is outside a temporary folder: not the configuration, the key of munge, the sockets, nor the accounts in MariaDB,
# without which nobody could ask how a job ended.
set -euo pipefail

folder=$(mktemp -d)
daemons=()

stop() {
  scancel --user=root 2>/dev/null || true
  for _ in {1..100}; do # what still ends a job would outlive the daemons
    if [ -z "$(squeue --noheader 2>/dev/null)" ]; then break; fi
    sleep 0.1
  done
  for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
    kill "${daemons[i]}" 2>/dev/null || true
    wait "${daemons[i]}" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

start() { # a daemon in the foreground, that its process can be ended by its id
  "$@" >>"$folder/${1##*/}.log" 2>&1 &
  daemons+=($!)
}

until_works() {
  for _ in {1..300}; do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  echo "$0: after 30 s still fails: $*" >&2
  tail -n 20 "$folder"/*.log >&2
  exit 1
}

node=$(hostname -s)
read -r database accounts controller daemon < <(python3 - <<'PYTHON'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
)
mkdir "$folder/state" "$folder/spool"
cat >"$folder/slurm.conf" <<END
ClusterName=mtlbench
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$daemon
SlurmUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
AuthInfo=socket=$folder/munge.socket
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$accounts
AccountingStoragePass=$folder/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=$node NodeAddr=127.0.0.1 $(slurmd -C | grep -o 'CPUs=[0-9]*') $(slurmd -C | grep -o 'RealMemory=[0-9]*')
PartitionName=cpu Nodes=ALL Default=YES
END
cat >"$folder/slurmdbd.conf" <<END
DbdHost=$node
DbdAddr=127.0.0.1
DbdPort=$accounts
SlurmUser=root
PidFile=$folder/slurmdbd.pid
AuthInfo=socket=$folder/munge.socket
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$database
StorageUser=root
END
chmod 600 "$folder/slurmdbd.conf"
export SLURM_CONF=$folder/slurm.conf

mariadb-install-db --user=root --datadir="$folder/accounts" --auth-root-authentication-method=normal --skip-test-db >"$folder/install.log"
start mariadbd --no-defaults --user=root --datadir="$folder/accounts" --socket="$folder/mariadb.socket" --bind-address=127.0.0.1 --port="$database"
dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 2>/dev/null
chmod 400 "$folder/munge.key"
start munged --foreground --force --key-file="$folder/munge.key" --seed-file="$folder/munge.seed" \
  --socket="$folder/munge.socket" --pid-file="$folder/munge.pid" --log-file="$folder/munge.log"
until_works munge --socket="$folder/munge.socket" --no-input
until_works bash -c "</dev/tcp/127.0.0.1/$database"
start slurmdbd -D
until_works sacctmgr --immediate add cluster mtlbench
start slurmctld -D
until_works scontrol ping
start slurmd -D
until_works sh -c "sinfo --noheader --format %T | grep --quiet idle"

"$@"
