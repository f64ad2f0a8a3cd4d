/** Metres in one of each unit. */
export const UNITS = { m: 1, km: 1000, mi: 1609.344, ft: 0.3048 } as const;

export type Unit = keyof typeof UNITS;

export interface Quantity {
  value: number;
  unit: string;
}

const isUnit = (name: string): name is Unit => Object.hasOwn(UNITS, name);

export function convert(from: Quantity, to: string): Quantity | undefined {
  if (!isUnit(from.unit) || !isUnit(to)) return undefined;
  return { value: (from.value * UNITS[from.unit]) / UNITS[to], unit: to };
}
