/**
 * Conversion between units by name: °F to °C, psi to bar, gal/min to m³/h. Each unit is an exact rational multiple of
 * one base unit of its quantity, temperatures with an offset besides; so 212 °F are 100 °C and not 99.99999999999999.
 *
 * Factors are those of NIST Special Publication 811 (2008), Appendix B, and of the SI Brochure (9th edition): exact by
 * definition, except mmHg, which is the conventional 133.322387415 Pa.
 */

/** (value + shift) × numerator / denominator, in the base unit. */
interface Unit {
  readonly quantity: string;
  readonly numerator: number;
  readonly denominator: number;
  /** Added to the value before it is multiplied. */
  readonly shift: number;
}

export type Conversion = (value: number) => number;

/** Undefined where one of them is unknown, or where they measure different things. */
export function conversionOf(from: string, to: string): Conversion | undefined {
  const [source, target] = [unitNamed(from), unitNamed(to)];
  if (source === undefined || target === undefined || source.quantity !== target.quantity) return undefined;
  const up = source.numerator * target.denominator;
  const down = source.denominator * target.numerator;
  // Whole numbers as long as they are exact; a factor that is not is still right to the last digits.
  const common = gcd(up, down);
  const [multiply, divide] = [up / common, down / common];
  return (value) => ((value + source.shift) * multiply) / divide - target.shift;
}

export function unitNamed(name: string): Unit | undefined {
  return UNITS.get(name) ?? UNITS.get(name.replaceAll('^3', '³').replaceAll('^2', '²'));
}

/** What measures the same as `name`; all there are where it is unknown. */
export function unitsLike(name: string): readonly string[] {
  const quantity = unitNamed(name)?.quantity;
  return [...UNITS]
    .filter(([, unit]) => quantity === undefined || unit.quantity === quantity)
    .map(([one]) => one);
}

type Factor = number | readonly [numerator: number, denominator: number];

/** By quantity: the base unit first, then names that mean the same, separated by a blank. */
const TABLE: Readonly<Record<string, Readonly<Record<string, Factor>>>> = {
  length: {
    m: 1,
    km: 1000,
    cm: [1, 100],
    mm: [1, 1000],
    'µm um': [1, 1_000_000],
    in: [254, 10_000],
    ft: [3048, 10_000],
    yd: [9144, 10_000],
    mi: [1_609_344, 1000],
  },
  area: { 'm² m2': 1, 'cm² cm2': [1, 10_000], 'ft² ft2': [9_290_304, 100_000_000], ha: 10_000 },
  volume: {
    'L l': 1,
    'mL ml': [1, 1000],
    hL: 100,
    'm³ m3': 1000,
    'ft³ ft3': [28_316_846_592, 1_000_000_000],
    'gal gal_us': [3_785_411_784, 1_000_000_000],
    gal_uk: [454_609, 100_000],
    bbl: [158_987_294_928, 1_000_000_000],
  },
  flow: {
    'L/min l/min lpm': 1,
    'L/s l/s': 60,
    'L/h l/h': [1, 60],
    'm³/h m3/h': [1000, 60],
    'm³/s m3/s': 60_000,
    'gal/min gpm': [3_785_411_784, 1_000_000_000],
    'ft³/min cfm': [28_316_846_592, 1_000_000_000],
  },
  mass: {
    kg: 1,
    g: [1, 1000],
    mg: [1, 1_000_000],
    t: 1000,
    lb: [45_359_237, 100_000_000],
    oz: [28_349_523_125, 1_000_000_000_000],
  },
  pressure: {
    Pa: 1,
    hPa: 100,
    kPa: 1000,
    MPa: 1_000_000,
    bar: 100_000,
    mbar: 100,
    atm: 101_325,
    psi: [6_894_757_293_168, 1_000_000_000],
    'mmHg Torr': [133_322_387_415, 1_000_000_000],
    inHg: [3_386_388_640_341, 1_000_000_000],
    'mH2O mH₂O': [980_665, 100],
    'mmH2O mmH₂O': [980_665, 100_000],
    'inH2O inH₂O': [24_908_891, 100_000],
  },
  speed: {
    'm/s': 1,
    'km/h kph': [10, 36],
    mph: [44_704, 100_000],
    'kn kt': [1852, 3600],
    'ft/s': [3048, 10_000],
  },
  energy: {
    J: 1,
    kJ: 1000,
    MJ: 1_000_000,
    GJ: 1_000_000_000,
    Wh: 3600,
    kWh: 3_600_000,
    MWh: 3_600_000_000,
    GWh: 3_600_000_000_000,
    cal: [4184, 1000],
    kcal: 4184,
    BTU: [105_505_585_262, 100_000_000],
  },
  power: {
    W: 1,
    mW: [1, 1000],
    kW: 1000,
    MW: 1_000_000,
    GW: 1_000_000_000,
    hp: [74_569_987_158_227, 100_000_000_000],
    PS: [73_549_875, 100_000],
    'BTU/h': [105_505_585_262, 360_000_000_000],
  },
  'apparent power': { VA: 1, kVA: 1000, MVA: 1_000_000 },
  'reactive power': { var: 1, kvar: 1000, Mvar: 1_000_000 },
  voltage: { V: 1, mV: [1, 1000], 'µV uV': [1, 1_000_000], kV: 1000 },
  current: { A: 1, mA: [1, 1000], 'µA uA': [1, 1_000_000], kA: 1000 },
  charge: { Ah: 1, mAh: [1, 1000] },
  resistance: { 'Ω Ohm ohm': 1, 'kΩ kOhm': 1000, 'MΩ MOhm': 1_000_000, 'mΩ mOhm': [1, 1000] },
  conductivity: { 'S/m': 1, 'mS/cm': [1, 10], 'µS/cm uS/cm': [1, 10_000] },
  frequency: { Hz: 1, mHz: [1, 1000], kHz: 1000, MHz: 1_000_000, GHz: 1_000_000_000, rpm: [1, 60] },
  time: { s: 1, ms: [1, 1000], 'µs us': [1, 1_000_000], min: 60, h: 3600, d: 86_400 },
  angle: { '° deg': 1, rad: [180, Math.PI] },
  fraction: { '%': 1, '‰': [1, 10], ppm: [1, 10_000], ppb: [1, 10_000_000] },
  data: { B: 1, kB: 1000, MB: 1_000_000, GB: 1_000_000_000, KiB: 1024, MiB: 1_048_576, GiB: 1_073_741_824 },
};

const TEMPERATURES: readonly (readonly [
  names: string,
  numerator: number,
  denominator: number,
  shift: number,
])[] = [
  ['K', 1, 1, 0],
  ['°C C', 1, 1, 273.15],
  ['°F F', 5, 9, 459.67],
  ['°R', 5, 9, 0],
];

const UNITS: ReadonlyMap<string, Unit> = new Map<string, Unit>([
  ...Object.entries(TABLE).flatMap(([quantity, units]) =>
    Object.entries(units).flatMap(([names, factor]) => {
      const [numerator, denominator] = typeof factor === 'number' ? [factor, 1] : factor;
      return names.split(' ').map((name) => [name, { quantity, numerator, denominator, shift: 0 }] as const);
    }),
  ),
  ...TEMPERATURES.flatMap(([names, numerator, denominator, shift]) =>
    names
      .split(' ')
      .map((name) => [name, { quantity: 'temperature', numerator, denominator, shift }] as const),
  ),
]);

function gcd(a: number, b: number): number {
  if (!Number.isSafeInteger(a) || !Number.isSafeInteger(b)) return 1;
  let [larger, smaller] = [Math.max(a, b), Math.min(a, b)];
  while (smaller !== 0) [larger, smaller] = [smaller, larger % smaller];
  return larger;
}
