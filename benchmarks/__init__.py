"""Measures dojo_deploy against other tools, and against itself at growing size.

    python -m benchmarks peers --rig PATH/TO/rig.sh     50 hosts: the floor, pyinfra and dojo_deploy, in turns
    python -m benchmarks delay --rig PATH/TO/rig.sh     20 hosts at 20 ms each way: the same
    python -m benchmarks scale --rig PATH/TO/rig.sh     10, 50, 100 and 500 hosts: time and memory of the controller
    python -m benchmarks backups                        1 GB into S3: `pg_dump | rclone rcat`, and backup.create

The rig is a script that starts one OpenSSH server which answers on many loopback addresses, and that does the same
twelve steps with each peer; figures are ratios taken in turns on one machine, since all "hosts" share its cores.
"""
