/** What every point may say, whatever it is read from. */

import { duration } from './kind.js';
import { transformKeys } from './point-transform.js';

export const pointBasics = {
  ...transformKeys,
  poll: duration(10, 366 * 86_400_000)
    .optional()
    .describe("How often it is read; by default the device's poll."),
};
