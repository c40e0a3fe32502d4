// All tests of the project in one run; `npx vitest run libs/x509` picks a room.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['libs/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/bench/**', 'build/**'],
    // Tests start real processes (brokers, services, openssl): generous, but nothing may hang.
    testTimeout: 30_000,
    // What follows an answer (a broker, a CRL) may take a moment on a loaded machine.
    expect: { poll: { timeout: 10_000 } },
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './test/support/summary-reporter.ts'],
  },
});
