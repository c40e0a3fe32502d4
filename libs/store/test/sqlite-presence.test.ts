// The repository contract on SQLite: who is there.
import { describe } from 'vitest';
import { describePresence } from './contract/describe-presence.ts';
import { createSqliteEngine } from './sqlite-engine.ts';

describe('presence on SQLite', () => describePresence(createSqliteEngine));
