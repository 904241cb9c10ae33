/** The driver of a bus, by its `driver` key. Each is loaded only when a bus needs it, and native packages with it. */

import type { Driver, DriverContext } from './driver.js';

export async function openDriver(context: DriverContext): Promise<Driver> {
  const { config } = context;
  switch (config.driver) {
    case 'modbus-tcp':
    case 'modbus-rtu':
    case 'modbus-ascii':
    case 'modbus-rtu-over-tcp': {
      const { openModbusDriver } = await import('./modbus/driver.js');
      return openModbusDriver(context);
    }
    case 'serial': {
      const { openSerialDriver } = await import('./serial/driver.js');
      return openSerialDriver(context, config);
    }
    case 'gpio': {
      const { openGpioDriver } = await import('./gpio/driver.js');
      return openGpioDriver(context, config);
    }
    case 'onewire': {
      const { openOnewireDriver } = await import('./onewire/driver.js');
      return openOnewireDriver(context, config);
    }
    case 'iio': {
      const { openIioDriver } = await import('./iio/driver.js');
      return openIioDriver(context, config);
    }
    case 'system': {
      const { openSystemDriver } = await import('./system/driver.js');
      return openSystemDriver(context, config);
    }
    case 'mqtt': {
      const { openMqttDriver } = await import('./mqtt/driver.js');
      return openMqttDriver(context, config);
    }
    case 'simulator': {
      const { openSimulator } = await import('./simulator/driver.js');
      return openSimulator(context);
    }
    default: {
      const { openFileDriver } = await import('./file/driver.js');
      return openFileDriver(context, config);
    }
  }
}
