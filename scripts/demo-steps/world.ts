// What the steps of the demo share: the running Keyline, the device side, and who talks to whom.
import { must } from '../../test/support/answers.ts';
import type { EnrolledDevice, Fleet } from '../../test/support/fleet.ts';
import type { RunningKeyline } from '../../test/support/keyline.ts';
import type { MqttDevice } from '../../test/support/mqtt-device.ts';
import type { Screen } from './screen.ts';

export interface DemoDevice extends EnrolledDevice {
  session?: MqttDevice;
}

export interface World {
  readonly screen: Screen;
  /** Temporary; everything the demo makes is in it. */
  readonly folder: string;
  readonly keyline: RunningKeyline;
  readonly fleet: Fleet;
  /** Whether the `openssl` command is on this machine; without it only Node checks. */
  readonly hasOpenssl: boolean;
  readonly devices: Map<string, DemoDevice>;
}

/** @throws {Error} when it is not there */
export function deviceOf(world: World, id: string): DemoDevice {
  const device = world.devices.get(id);
  must(device !== undefined, `${id} did not enroll.`);
  return device;
}

/** @throws {Error} when it is not connected */
export function sessionOf(world: World, id: string): MqttDevice {
  const { session } = deviceOf(world, id);
  must(session !== undefined, `${id} is not connected.`);
  return session;
}
