/**
 * What a point can be worth. Numbers print with the sensor's own precision: a float32 is held as the
 * double whose shortest decimal is that float32's, an integer beyond 2^53 as a bigint.
 */
export type Value = boolean | number | bigint | string;
