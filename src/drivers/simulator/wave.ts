/** What a simulated sensor shows at one instant: pure, the same for the same time and random numbers. */

import type { SimulatorPointConfig } from '../../config/schema.js';

export type Simulation = SimulatorPointConfig['simulate'];

/** A walk takes this share of its span per poll at most. */
const WALK_STEP = 0.05;

export class Wave {
  readonly #simulation: Simulation;
  readonly #random: () => number;
  #walk: number;

  constructor(simulation: Simulation, random: () => number) {
    this.#simulation = simulation;
    this.#random = random;
    this.#walk = middle(simulation);
  }

  /** `elapsedMs` since the simulator started. */
  at(elapsedMs: number): number | boolean {
    const { type, noise, decimals } = this.#simulation;
    const shown = this.#level(elapsedMs) + (noise === 0 ? 0 : (this.#random() * 2 - 1) * noise);
    if (type === 'boolean') return shown > middle(this.#simulation);
    return type === 'integer' ? Math.round(shown) : Number(shown.toFixed(decimals));
  }

  #level(elapsedMs: number): number {
    const { wave, min, max, period } = this.#simulation;
    const turn = period > 0 ? (elapsedMs % period) / period : 0;
    switch (wave) {
      case 'sine':
        return min + ((max - min) * (1 + Math.sin(2 * Math.PI * turn))) / 2;
      case 'ramp':
        return min + (max - min) * turn;
      case 'square':
        return turn < 0.5 ? min : max;
      case 'walk': {
        const step = (this.#random() * 2 - 1) * (max - min) * WALK_STEP;
        this.#walk = Math.min(Math.max(this.#walk + step, min), max);
        return this.#walk;
      }
      case 'constant':
        return middle(this.#simulation);
    }
  }
}

function middle({ min, max }: Simulation): number {
  return (min + max) / 2;
}
