/** The driver of a bus, by its `driver` key. Each is loaded only when a bus needs it, and native packages with it. */

import type { Driver, DriverContext } from './driver.js';

export async function openDriver(context: DriverContext): Promise<Driver> {
  switch (context.config.driver) {
    case 'modbus-tcp':
    case 'modbus-rtu': {
      const { openModbusDriver } = await import('./modbus/driver.js');
      return openModbusDriver(context);
    }
    case 'simulator': {
      const { openSimulator } = await import('./simulator/driver.js');
      return openSimulator(context);
    }
  }
}
