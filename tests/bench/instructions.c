/* A plugin of QEMU's user emulation: counts the instructions that a program executes, and says how many there were so
 * far each time that the program asks for its parent's process id, which programs hardly ever do. Exact as long as one
 * thread runs at a time.
 *
 * PLUGIN_VERSION is the version of QEMU's interface: 1 for QEMU 7.2 (Debian 12), 2 for later ones. The few functions
 * that are taken, which are the same in both, are declared here, for Debian has QEMU's header in no package. */

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
enum registers { NO_REGISTERS };
typedef void on_translation(plugin_id, struct qemu_plugin_tb *);
typedef void on_execution(unsigned int vcpu, void *data);
typedef void on_syscall(plugin_id, unsigned int vcpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_translation *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, on_execution *, enum registers, void *data);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, on_syscall *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

EXPORTED int qemu_plugin_version = PLUGIN_VERSION;

static uint64_t executed;

static void execute(unsigned int vcpu, void *instructions) {
  (void)vcpu;
  executed += (uintptr_t)instructions;
}

/* Each time that this block of instructions is executed, their number is added. */
static void translate(plugin_id id, struct qemu_plugin_tb *block) {
  (void)id;
  uintptr_t instructions = qemu_plugin_tb_n_insns(block);
  qemu_plugin_register_vcpu_tb_exec_cb(block, execute, NO_REGISTERS, (void *)instructions);
}

static void call(plugin_id id, unsigned int vcpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                 uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
  (void)id, (void)vcpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  if (number == SYS_getppid) dprintf(STDERR_FILENO, "instructions %" PRIu64 "\n", executed);
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *machine, int argc, char **argv) {
  (void)machine, (void)argc, (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  qemu_plugin_register_vcpu_syscall_cb(id, call);
  return 0;
}
