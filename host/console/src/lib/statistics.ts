// Intervals for what is drawn of rollouts.

export interface Share {
  estimate: number;
  low: number;
  high: number;
}

/** 95 % of the normal distribution. */
const Z = 1.959964;

/** Wilson's interval of a share: it also holds for few requests and for no failure. */
export function wilson(failures: number, requests: number): Share {
  if (requests === 0) return { estimate: 0, low: 0, high: 1 };
  const share = failures / requests;
  const z2 = Z * Z;
  const middle = (share + z2 / (2 * requests)) / (1 + z2 / requests);
  const half = (Z / (1 + z2 / requests)) * Math.sqrt((share * (1 - share)) / requests + z2 / (4 * requests * requests));
  return { estimate: share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
