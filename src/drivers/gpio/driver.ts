import type { Driver, DriverContext } from '../driver.js';
export async function openGpioDriver(context: DriverContext, _c: unknown): Promise<Driver> {
  throw new Error(context.bus);
}
