// The kinds of brokers there are: one folder each, behind the port.
import type { DynsecClientOptions } from '@keyline/dynsec';
import { openDynsecTarget } from './dynsec/dynsec-target.ts';
import type { ConnectedTarget, ConnectionEvents } from './target.ts';

export interface TargetSpec {
  readonly name: string;
  readonly url: string;
  /** Asked for at each connection, so that a renewed certificate is used at the next. */
  readonly credentials: DynsecClientOptions['credentials'];
}

export type TargetKind = 'dynsec';

export const targetKinds: Readonly<
  Record<TargetKind, (spec: TargetSpec, events: ConnectionEvents) => ConnectedTarget>
> = { dynsec: openDynsecTarget };
