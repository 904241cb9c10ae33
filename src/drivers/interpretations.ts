/**
 * The same bytes as every type that they could be: for a register whose type the document does not say. Orders are
 * named as the configuration has them: ABCD is word_order and byte_order big, CDAB word_order little.
 */

/** @returns pairs of a type with its order, and the value as text; whatever is plainly no such value is left out */
export function interpretations(bytes: Uint8Array): readonly (readonly [type: string, text: string])[] {
  const found: [string, string][] = [['hex', hex(bytes)]];
  if (bytes.length === 1) found.push(['uint8', String(bytes[0])], ['bits', bits(bytes)]);
  if (bytes.length === 2) {
    for (const [order, swapped] of orders(bytes)) found.push(...halfWord(swapped, order));
    found.push(['bits', bits(bytes)]);
  }
  if (bytes.length === 4) for (const [order, swapped] of orders(bytes)) found.push(...word(swapped, order));
  if (bytes.length === 8)
    for (const [order, swapped] of orders(bytes)) found.push(...doubleWord(swapped, order));
  const text = Buffer.from(bytes).toString('latin1').replace(/\0+$/, '');
  if (/^[\x20-\x7e]+$/.test(text)) found.push(['string', JSON.stringify(text)]);
  return found;
}

function orders(bytes: Uint8Array): readonly (readonly [string, DataView])[] {
  const letters = 'ABCDEFGH'.slice(0, bytes.length);
  const words = letters.match(/../g) ?? [];
  const flip = (text: string): string => [...text].reverse().join('');
  const names = new Set([letters, [...words].reverse().join(''), words.map(flip).join(''), flip(letters)]);
  return [...names].map((order) => [order, arranged(bytes, order)]);
}

/** `order`: which letter comes first on the wire. */
function arranged(bytes: Uint8Array, order: string): DataView {
  const value = new Uint8Array(bytes.length);
  for (const [at, letter] of [...order].entries()) value[letter.charCodeAt(0) - 65] = bytes[at] as number;
  return new DataView(value.buffer);
}

function halfWord(view: DataView, order: string): [string, string][] {
  const bcd = bcdText(view);
  return [
    [`int16 ${order}`, String(view.getInt16(0))],
    [`uint16 ${order}`, String(view.getUint16(0))],
    ...(bcd === undefined ? [] : [[`bcd16 ${order}`, bcd] as [string, string]]),
  ];
}

function word(view: DataView, order: string): [string, string][] {
  const bcd = bcdText(view);
  return [
    [`float32 ${order}`, floatText(view.getFloat32(0), 7)],
    [`int32 ${order}`, String(view.getInt32(0))],
    [`uint32 ${order}`, String(view.getUint32(0))],
    ...(bcd === undefined ? [] : [[`bcd32 ${order}`, bcd] as [string, string]]),
  ];
}

function doubleWord(view: DataView, order: string): [string, string][] {
  return [
    [`float64 ${order}`, floatText(view.getFloat64(0), 15)],
    [`int64 ${order}`, String(view.getBigInt64(0))],
    [`uint64 ${order}`, String(view.getBigUint64(0))],
  ];
}

function floatText(value: number, digits: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : String(value);
}

function bcdText(view: DataView): string | undefined {
  const digits = hex(new Uint8Array(view.buffer)).replaceAll(' ', '');
  return /^\d+$/.test(digits) ? String(Number(digits)) : undefined;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/(..)(?=.)/g, '$1 ');
}

function bits(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join(' ');
}
