// The numbers that stand for names on disk. For good: a name that goes leaves its number unused, one that comes takes a new one.
// Statements and partial indices say them as well (`state = 2`).
import type { Certificate, CertificateState, DeviceState, JobResultStatus } from '@keyline/fleet';

export interface Codes<Name extends string> {
  readonly numbers: Readonly<Record<Name, number>>;
  /** @throws for a number that stands for nothing */
  nameOf(code: number): Name;
}

export const deviceStateCodes = createCodes<DeviceState>({
  registered: 0,
  active: 1,
  suspended: 2,
  revoked: 3,
  decommissioned: 4,
});

export const certificateStateCodes = createCodes<CertificateState>({
  active: 0,
  superseded: 1,
  revoked: 2,
});

export const certificateKindCodes = createCodes<Certificate['kind']>({
  device: 0,
  server: 1,
  service: 2,
  operator: 3,
  station: 4,
  ocsp: 5,
});

export const jobResultCodes = createCodes<JobResultStatus>({
  pending: 0,
  changed: 1,
  unchanged: 2,
  failed: 3,
});

function createCodes<Name extends string>(numbers: Readonly<Record<Name, number>>): Codes<Name> {
  const names = new Map<number, Name>();
  for (const name of Object.keys(numbers) as Name[]) names.set(numbers[name], name);
  return {
    numbers,
    nameOf(code) {
      const name = names.get(code);
      if (name === undefined)
        throw new Error(`the database holds the unknown code ${String(code)}`);
      return name;
    },
  };
}
