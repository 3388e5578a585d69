// SPDX-License-Identifier: BSL-1.0
// Reads ELF headers by hand: <elf.h> and two preads are all it takes, and no library is worth that.

#include "elf_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>

namespace weft::tools {
namespace {

class open_file {
 public:
  explicit open_file(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~open_file() { if (fd_ >= 0) close(fd_); }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

  [[nodiscard]] std::string read_at(std::uint64_t offset, std::size_t count) const {
    std::string bytes(count, '\0');
    const ssize_t got = pread(fd_, bytes.data(), count, static_cast<off_t>(offset));
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }

 private:
  int fd_;
};

template <typename T>
bool copy_out(const std::string& bytes, std::size_t offset, T& value) {
  if (offset + sizeof value > bytes.size()) return false;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return true;
}

/// Finds PT_INTERP; leaves `interpreter` empty when there is none.
template <typename Header, typename Segment>
void read_loader(const open_file& file, const std::string& head, executable_facts& facts) {
  Header header{};
  if (!copy_out(head, 0, header) || header.e_phentsize != sizeof(Segment)) {
    facts.damaged = true;
    return;
  }
  facts.machine = header.e_machine;
  const std::string table = file.read_at(header.e_phoff, std::size_t{header.e_phnum} * sizeof(Segment));
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    Segment segment{};
    if (!copy_out(table, i * sizeof segment, segment)) {
      facts.damaged = true;
      return;
    }
    if (segment.p_type != PT_INTERP || segment.p_filesz > 4096) continue;
    facts.interpreter = file.read_at(segment.p_offset, segment.p_filesz).c_str();  // up to the terminating NUL
  }
}

/// "#!" line: the interpreter is its first word.
std::string script_interpreter(std::string_view head) {
  std::string_view line = head.substr(2, head.find('\n') - 2);
  const std::size_t first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  line.remove_prefix(first);
  return std::string(line.substr(0, line.find_first_of(" \t\r")));
}

}  // namespace

executable_facts read_executable(const std::string& path) {
  const open_file file(path);
  executable_facts facts;
  if (!file.is_open()) {
    facts.kind = file_kind::unreadable;
    return facts;
  }
  const std::string head = file.read_at(0, 256);
  if (head.starts_with("#!")) {
    facts.kind = file_kind::script;
    facts.interpreter = script_interpreter(head);
  } else if (head.starts_with(ELFMAG) && head.size() > EI_CLASS) {
    facts.kind = file_kind::elf;
    facts.is_64_bit = head[EI_CLASS] == ELFCLASS64;
    if (head.size() > EI_DATA && head[EI_DATA] == ELFDATA2MSB) {
      facts.machine = EM_NONE;  // no machine we run on is big-endian; its fields need no reading
    } else if (facts.is_64_bit) {
      read_loader<Elf64_Ehdr, Elf64_Phdr>(file, head, facts);
    } else {
      read_loader<Elf32_Ehdr, Elf32_Phdr>(file, head, facts);
    }
  }
  return facts;
}

std::string machine_name(std::uint16_t machine, bool is_64_bit) {
  switch (machine) {
    case EM_X86_64: return is_64_bit ? "64-bit x86" : "x32";
    case EM_386: return "32-bit x86";
    case EM_AARCH64: return "64-bit Arm";
    case EM_ARM: return "32-bit Arm";
    case EM_RISCV: return "RISC-V";
    case EM_PPC64: return "64-bit PowerPC";
    case EM_S390: return "s390";
    case EM_NONE: return "a big-endian machine";
    default: return fmt::format("machine {}", machine);
  }
}

}  // namespace weft::tools
