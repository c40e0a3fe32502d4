// The tests of the use cases once more, on SQLite: by themselves they stand on the store in memory, which keeps the same contract.
import { describe } from 'vitest';
import { standOnSqlite } from './test-fleet.ts';

standOnSqlite();

describe('on SQLite', () => {
  describe('enrolling', () => import('./enroll.test.ts').then());
  describe('lost races', () => import('./lost-races.test.ts').then());
  describe('renewing', () => import('./renew.test.ts').then());
  describe('services', () => import('./services.test.ts').then());
  describe('the line', () => import('./batches.test.ts').then());
  describe('certificates', () => import('./certificates.test.ts').then());
  describe('changes of state', () => import('./device-state.test.ts').then());
  describe('tokens', () => import('./tokens.test.ts').then());
  describe('approvals', () => import('./approvals.test.ts').then());
  describe('root CRLs', () => import('./root-crls.test.ts').then());
});
