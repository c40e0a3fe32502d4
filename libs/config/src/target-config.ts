// Targets with absolute paths, and what must hold between them.
import { resolve } from 'node:path';
import type { Checked } from './check-schema.ts';
import type { targetKinds } from './schemas/targets-schema.ts';
import type { Fault } from './service-config.ts';

export interface TargetConfig {
  readonly name: string;
  readonly description: string;
  readonly kind: (typeof targetKinds)[number];
  /** mqtts:// URL. */
  readonly url: string;
  /** How devices reach it, where that is another. */
  readonly publicUrl?: string | undefined;
  readonly publicWebsocketUrl?: string | undefined;
  /** Absolute paths of PEM files. */
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly exclusive: boolean;
}

/** Names of the ledger's other followers; "broker" is the bundled one. */
const taken: readonly string[] = ['broker', 'crl', 'alerts'];

/** @param dir the folder that files are relative to */
export function toTargetConfigs({ targets }: Checked<'targets'>, dir: string): TargetConfig[] {
  const path = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : resolve(dir, file);
  return (targets ?? []).map(({ kind, ca, certificate, key, ...rest }) => ({
    ...rest,
    kind: kind ?? 'dynsec',
    ca: path(ca),
    certificate: path(certificate),
    key: path(key),
  }));
}

export function findTargetFaults(targets: readonly TargetConfig[]): Fault[] {
  const faults: Fault[] = [];
  const seen = new Set<string>();
  for (const [position, { name, certificate, key }] of targets.entries()) {
    const fault = (path: string, message: string): void => {
      faults.push({ path: ['targets', position, path], message });
    };
    if (taken.includes(name)) fault('name', `"${name}" is a name of Keyline's own; choose another`);
    if (seen.has(name)) fault('name', `a target "${name}" is there already`);
    seen.add(name);
    if ((certificate === undefined) !== (key === undefined)) {
      fault('certificate', 'certificate and key are given together, or neither');
    }
  }
  return faults;
}
