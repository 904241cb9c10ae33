/**
 * A driver of your own is one file: `driver: ./own-driver.mjs` in the configuration names it.
 *
 * This one is a rain gauge that does not exist: it reads, it is written, and it says something by itself. It runs in a
 * thread of its own; what it throws, and that it hangs or ends, is a bad value with the reason and a number in status.
 */

/** Optional. Each gets what stands under `options` at its place, throws what is wrong with it, or gives it back. */
export const options = {
  bus({ seed = 1 }) {
    if (!Number.isInteger(seed)) throw new Error(`seed is ${seed}, allowed: a whole number`);
    return { seed };
  },
  point({ what = 'rain' }) {
    if (!['rain', 'heater', 'alarm'].includes(what)) throw new Error(`what is ${what}, allowed: rain, heater or alarm`);
    return { what };
  },
};

/** Called once, and again after the thread had to be begun anew. */
export async function open(bus) {
  let heater = false;
  let millimetres = bus.options.seed;
  const alarm = setInterval(() => {
    for (const [device, { points }] of Object.entries(bus.devices)) {
      for (const [point, { options: { what } }] of Object.entries(points)) {
        if (what === 'alarm') bus.publish(device, { [point]: millimetres > 100 });
      }
    }
  }, 200);
  bus.log.info(`rain gauge ${bus.name} is open`);

  return {
    /** A value for each point: a number, a boolean, text, a BigInt, or { bad: 'why' }. */
    async read(device, points) {
      millimetres += 0.2;
      const values = {};
      for (const point of points) {
        const { what } = bus.devices[device].points[point].options;
        if (what === 'rain') values[point] = Number(millimetres.toFixed(1));
        if (what === 'heater') values[point] = heater;
        if (what === 'alarm') values[point] = millimetres > 100;
      }
      return values;
    },

    /** Only for points that are `writable`. Gives back what the device holds now. */
    async write(_device, _point, value) {
      heater = value === true || value === 'on';
      return heater;
    },

    async close() {
      clearInterval(alarm);
    },
  };
}
