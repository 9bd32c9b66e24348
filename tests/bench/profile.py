"""Where the instructions of gateway and poller go: callgrind's count, by function.

Instructions and not time: what the kernel does for a process is not in it. The gateway
delivers changes to many clients, the poller finds nothing new, flat out.
"""

import collections
import re
import subprocess

import interest
from fanout import Publisher, Side, SESSION
from measure import Report
from poll import addresses, await_polls
from stage import Gateway, Poller, Tool, sleep, until_now

SETTINGS = {
    "resources": 500,
    "clients": 200,
    "changes": 50,
    "size": 512,
    "seconds": 10.0,
    "top": 25,
}
CALLGRIND = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-instr=no"]
FUNCTION = re.compile(r"^\s*([0-9,]+) \(\s*[0-9.]+%\)\s+\S*?:(\S+?)(?:'\d+)? \[(.*)\]$")
