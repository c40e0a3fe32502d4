import type { Bench } from '../support/bench.ts';
import { serveIssuingCa } from '../support/issuing-ca.ts';
import { createSeededCa } from '../support/seed.ts';

export const start: Bench = {
  id: 'start',
  unit: 's',
  means: 'From the command to both listeners serving, with 1,000,000 certificates (QUICK: 50,000).',
  reach: { atMost: 1 },
  async run({ quick, folder, note }) {
    await createSeededCa(folder, { devices: quick ? 50_000 : 1_000_000, revoked: 0.02 });
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      const begun = performance.now();
      const service = await serveIssuingCa(folder);
      times.push((performance.now() - begun) / 1000);
      const { status } = await service.admin.get('/readyz');
      if (status !== 200) throw new Error(`/readyz answers ${status}`);
      await service.stop();
    }
    note(`three starts: ${times.map((time) => time.toFixed(2)).join(', ')} s`);
    return { value: Math.min(...times), limit: 2 };
  },
};
