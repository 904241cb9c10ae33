#!/usr/bin/python3
"""A Modbus slave made of Debian's python3-pymodbus, an implementation that is not ours.

    pymodbus-slave.py tcp HOST PORT UNIT[,UNIT...]
    pymodbus-slave.py rtu|ascii PATH BAUD UNIT[,UNIT...]

Prints READY (with the port, for TCP) once it serves. Commands come on standard input, one a line, each answered by OK
or ERROR: `set UNIT KIND ADDRESS WORD...` (kind: holding input coil discrete), `get UNIT KIND ADDRESS COUNT` (its
words follow OK), `silence UNIT`, `answer UNIT`. Every
table has addresses 0 to 9999, all 0; what lies beyond is refused with exception 2.
"""

import asyncio
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.exceptions import NoSuchSlaveException
from pymodbus.server.async_io import ModbusSerialServer, ModbusTcpServer
from pymodbus.device import ModbusDeviceIdentification
from pymodbus.transaction import ModbusAsciiFramer, ModbusRtuFramer, ModbusSocketFramer

SIZE = 41_000
FUNCTIONS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
IDENTITY = ModbusDeviceIdentification(
    info_name={"VendorName": "Peer", "ProductCode": "PM", "MajorMinorRevision": "3.0"}
)
UNITS = {}
SILENT = set()


def new_unit():
    def block():
        return ModbusSequentialDataBlock(0, [0] * SIZE)

    return ModbusSlaveContext(di=block(), co=block(), hr=block(), ir=block(), zero_mode=True)


def obey(line):
    words = line.split()
    if not words:
        return []
    if words[0] == "set":
        unit, kind, address = int(words[1]), words[2], int(words[3])
        UNITS[unit].setValues(FUNCTIONS[kind], address, [int(word) for word in words[4:]])
    elif words[0] == "get":
        unit, kind, address, count = int(words[1]), words[2], int(words[3]), int(words[4])
        return [int(word) for word in UNITS[unit].getValues(FUNCTIONS[kind], address, count)]
    elif words[0] == "silence":
        SILENT.add(int(words[1]))
    elif words[0] == "answer":
        SILENT.discard(int(words[1]))
    else:
        raise ValueError(f"unknown command {words[0]}")
    return []


async def commands():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        line = await reader.readline()
        if not line:
            return
        try:
            print("OK", *obey(line.decode()), flush=True)
        except Exception as error:  # told to the test, which fails with it
            print("ERROR", repr(error), flush=True)


class QuietContext(ModbusServerContext):
    """Like its parent, except that a silenced unit is unknown: the server then answers nothing."""

    def __getitem__(self, unit):
        if unit in SILENT:
            raise NoSuchSlaveException(f"unit {unit} is silent")
        return super().__getitem__(unit)


async def main():
    transport, where, speed, units = sys.argv[1:5]
    for unit in units.split(","):
        UNITS[int(unit)] = new_unit()
    context = QuietContext(slaves=UNITS, single=False)
    if transport == "tcp":
        server = ModbusTcpServer(
            context,
            framer=ModbusSocketFramer,
            identity=IDENTITY,
            address=(where, int(speed)),
            ignore_missing_slaves=True,
            allow_reuse_address=True,
        )
        serving = asyncio.ensure_future(server.serve_forever())
        while server.server is None or not server.server.sockets:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.01)
        print("READY", server.server.sockets[0].getsockname()[1], flush=True)
    else:
        framer = ModbusAsciiFramer if transport == "ascii" else ModbusRtuFramer
        server = ModbusSerialServer(
            context,
            framer=framer,
            identity=IDENTITY,
            port=where,
            baudrate=int(speed),
            ignore_missing_slaves=True,
        )
        await server.start()
        serving = asyncio.ensure_future(server.serve_forever())
        print("READY", flush=True)
    await commands()
    serving.cancel()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
