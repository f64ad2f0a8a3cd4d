// node:os: the values of an idle machine; nothing of the host shows. https://nodejs.org/api/os.html
import constants from "./constants.js";

export const EOL = "\n";
export const devNull = "/dev/null";
export const arch = () => "wasm32";
export const availableParallelism = () => 1;
export const cpus = () => [];
export const endianness = () => "LE";
export const freemem = () => 0;
export const getPriority = () => 0;
export const homedir = () => "/";
export const hostname = () => "localhost";
export const loadavg = () => [0, 0, 0];
export const machine = () => "wasm32";
export const networkInterfaces = () => ({});
export const platform = () => "linux";
export const release = () => "";
export const setPriority = () => {};
export const tmpdir = () => "/tmp";
export const totalmem = () => 0;
export const type = () => "Linux";
export const uptime = () => 0;
export const userInfo = () => ({ uid: 1, gid: 1, username: "elias", homedir: "/", shell: null });
export const version = () => "";

const { signals, errno, priority } = constants.os;
const os = {
  EOL, devNull, arch, availableParallelism, cpus, endianness, freemem, getPriority, homedir, hostname, loadavg, machine,
  networkInterfaces, platform, release, setPriority, tmpdir, totalmem, type, uptime, userInfo, version,
  constants: { signals, errno, priority },
};

const osConstants = os.constants;
export { osConstants as constants };
export default os;
