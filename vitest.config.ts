// All tests of the project in one run; `npx vitest run libs/x509` picks a room.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['libs/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/bench/**', 'build/**'],
    // Tests start real processes (brokers, services, openssl) on machines that do other things too: nothing may hang, and nothing fails
    // because it was slow.
    testTimeout: 120_000,
    // What follows an answer (a broker, a CRL) may take a moment on a loaded machine.
    expect: { poll: { timeout: 30_000 } },
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './test/support/summary-reporter.ts'],
  },
});
