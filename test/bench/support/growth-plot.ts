// The plot of docs/performance.md: how four figures change with the number of devices, each beside its own limit.

export interface Growth {
  readonly devices: number;
  /** Shares of L. */
  readonly enroll: number;
  readonly ocspFresh: number;
  /** p99 of the slowest filter. */
  readonly listMilliseconds: number;
  readonly startSeconds: number;
}

interface Panel {
  readonly title: string;
  readonly value: (growth: Growth) => number;
  readonly limit: number;
  readonly limitText: string;
}

const panels: readonly Panel[] = [
  { title: 'enroll, share of L', value: ({ enroll }) => enroll, limit: 0.4, limitText: '≥ 0.4' },
  {
    title: 'OCSP signed anew, share of L',
    value: ({ ocspFresh }) => ocspFresh,
    limit: 1.5,
    limitText: '≥ 1.5',
  },
  {
    title: 'list page, p99, ms',
    value: ({ listMilliseconds }) => listMilliseconds,
    limit: 10,
    limitText: '≤ 10',
  },
  {
    title: 'start, s',
    value: ({ startSeconds }) => startSeconds,
    limit: 2,
    limitText: '≤ 2',
  },
];

const width = 360;
const height = 220;
const left = 46;
const right = 20;
const top = 34;
const bottom = 36;
/** Points stand clear of the axis and its labels. */
const inset = 24;

/** SVG that reads on a light and on a dark page. */
export function drawGrowth(measured: readonly Growth[]): string {
  const drawn = panels.map((panel, index) => {
    const x = (index % 2) * width;
    const y = Math.floor(index / 2) * height;
    return `<g transform="translate(${x} ${y})">\n${drawPanel(panel, measured)}\n</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * width} ${2 * height}" font-family="sans-serif" font-size="12">
<style>
  text { fill: #333 } .axis { stroke: #999 } .line { stroke: #2563eb; fill: none; stroke-width: 2 } .dot { fill: #2563eb }
  .limit { stroke: #c2410c; stroke-dasharray: 4 4 } .limit-text { fill: #c2410c }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .line { stroke: #60a5fa } .dot { fill: #60a5fa } .limit { stroke: #fb923c } .limit-text { fill: #fb923c } }
</style>
${drawn.join('\n')}
</svg>
`;
}

function drawPanel(panel: Panel, measured: readonly Growth[]): string {
  const { title, value, limit, limitText } = panel;
  const values = measured.map(value);
  const most = Math.max(limit, ...values) * 1.15;
  const exponents = measured.map(({ devices }) => Math.log10(devices));
  const [first, last] = [Math.min(...exponents), Math.max(...exponents)];
  const xOf = (exponent: number): number =>
    Math.round(
      left +
        inset +
        ((exponent - first) / (last - first || 1)) * (width - left - right - 2 * inset),
    );
  const yOf = (amount: number): number =>
    Math.round(height - bottom - (amount / most) * (height - top - bottom));
  const points = values.map((amount, i) => `${xOf(exponents[i]!)},${yOf(amount)}`);
  const base = height - bottom;
  return [
    `<text x="${left}" y="18" font-weight="bold">${title}</text>`,
    `<path class="axis" d="M${left} ${top}V${base}H${width - right}" fill="none"/>`,
    ...measured.map(({ devices }, i) => {
      const name = devices >= 1_000_000 ? `${devices / 1e6} M` : `${devices / 1000} k`;
      return `<text x="${xOf(exponents[i]!)}" y="${base + 16}" text-anchor="middle">${name}</text>`;
    }),
    `<text x="${width - right}" y="${base + 30}" text-anchor="end">devices</text>`,
    `<path class="limit" d="M${left} ${yOf(limit)}H${width - right}"/>`,
    `<text class="limit-text" x="${left - 4}" y="${yOf(limit) + 4}" text-anchor="end">${limitText}</text>`,
    `<polyline class="line" points="${points.join(' ')}"/>`,
    ...values.flatMap((amount, i) => [
      `<circle class="dot" cx="${xOf(exponents[i]!)}" cy="${yOf(amount)}" r="3"/>`,
      `<text x="${xOf(exponents[i]!)}" y="${yOf(amount) + (amount > limit ? -7 : 17)}" text-anchor="middle">${Number(amount.toPrecision(3))}</text>`,
    ]),
  ].join('\n');
}
