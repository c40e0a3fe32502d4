// What a row of the route table says.
import type { TSchema } from 'typebox';

/** Who may call. `anyone`: no proof of identity is asked for (the route checks its own, such as an enrollment token). */
export type Admits = 'admin' | 'operator' | 'station' | 'auditor' | 'device' | 'anyone';

export interface RouteContract {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly admits: readonly Admits[];
  readonly tag: 'devices' | 'line' | 'tokens' | 'certificates' | 'operations';
  readonly summary: string;
  readonly description?: string;
  readonly status: 200 | 201;
  readonly params?: TSchema;
  readonly query?: TSchema;
  readonly body?: TSchema;
  readonly response: TSchema;
}

export const administrators = ['admin', 'operator'] as const;
export const readers = ['admin', 'operator', 'auditor'] as const;
