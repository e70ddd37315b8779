/** The camera of a phone or computer as moving pictures in a video element. */
import { ImageDecodeError } from '../errors.ts';

type Facing = 'environment' | 'user';

/** Shows a camera until it is stopped. */
export class Camera {
  readonly #video: HTMLVideoElement;
  #stream: MediaStream | null = null;
  #facing: Facing = 'environment';

  constructor(video: HTMLVideoElement) {
    this.#video = video;
  }

  get isRunning(): boolean {
    return this.#stream !== null;
  }

  /** Whether there is another camera to switch to. */
  async hasSeveral(): Promise<boolean> {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === 'videoinput').length > 1;
  }

  /** @throws {ImageDecodeError} where there is no camera, or its use was not allowed */
  async start(): Promise<void> {
    // Pages without https have no `mediaDevices` at all, whatever the types say.
    const devices = (navigator as { mediaDevices?: MediaDevices }).mediaDevices;
    if (devices === undefined) {
      throw new ImageDecodeError(
        'Browsers allow the camera on secure pages only. Serve this page over https.',
      );
    }
    try {
      const stream = await devices.getUserMedia({
        audio: false,
        video: { facingMode: { ideal: this.#facing } },
      });
      this.#stream = stream;
      this.#video.srcObject = stream;
      this.#video.classList.toggle('mirrored', isFront(stream));
      await this.#video.play();
    } catch (error) {
      this.stop();
      throw new ImageDecodeError(reason(error), { cause: error });
    }
  }

  /** Goes on with the camera on the other side. */
  async turn(): Promise<void> {
    this.#facing = this.#facing === 'environment' ? 'user' : 'environment';
    this.stop();
    await this.start();
  }

  stop(): void {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }
}

/** Whether the picture should be mirrored, as people expect of a camera that faces them. */
function isFront(stream: MediaStream): boolean {
  const [track] = stream.getVideoTracks();
  return track?.getSettings().facingMode === 'user';
}

function reason(error: unknown): string {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError')
    return 'The camera may not be used. Allow it in the settings of the browser.';
  if (name === 'NotFoundError') return 'There is no camera. Connect one, or choose a picture.';
  if (name === 'NotReadableError') return 'The camera is in use by another program. Close that one first.';
  return 'The camera could not be started. Choose a picture instead.';
}
