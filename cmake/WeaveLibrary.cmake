# weave_library() and weave_program(): targets that know their room in the house.
#
#   weave_library(host SOURCES netlink.cc DEPS base io LINK weave_deps::nl)
#   weave_library(peer_core PURE SOURCES peer_core.cc DEPS base)
#
# DEPS are rooms, checked against the table below; LINK are third-party targets; PCH are headers to precompile beyond the
# usual ones. PURE promises: no operating system, no thread, no clock (docs/architecture.md). A pure room may depend on
# pure rooms only and link nothing but abseil and what WEAVE_PURE_LINKS names.

# room -> rooms it may use, as in docs/architecture.md. `base` is open to all.
set(WEAVE_MAY_USE_base "")
set(WEAVE_MAY_USE_proto "")
set(WEAVE_MAY_USE_io base)
set(WEAVE_MAY_USE_host base io)
set(WEAVE_MAY_USE_wire base)
set(WEAVE_MAY_USE_mesh base wire)
set(WEAVE_MAY_USE_ipam base wire)
set(WEAVE_MAY_USE_dns base wire)
set(WEAVE_MAY_USE_dns_os base io dns)
set(WEAVE_MAY_USE_overlay base mesh)
set(WEAVE_MAY_USE_sleeve base wire overlay)
set(WEAVE_MAY_USE_sleeve_os base io sleeve)
set(WEAVE_MAY_USE_fastdp base wire mesh overlay)
set(WEAVE_MAY_USE_fastdp_os base io host fastdp)
set(WEAVE_MAY_USE_peer_core base wire mesh ipam dns overlay sleeve fastdp)
set(WEAVE_MAY_USE_peer base proto io host wire mesh ipam dns dns_os overlay sleeve sleeve_os fastdp fastdp_os peer_core)
set(WEAVE_MAY_USE_client base proto)
set(WEAVE_MAY_USE_plugin_cni base proto client io host)
set(WEAVE_MAY_USE_plugin_docker base proto client io host)
set(WEAVE_MAY_USE_cli base client io)
set(WEAVE_MAY_USE_sim base wire mesh ipam dns overlay sleeve fastdp peer_core)

# Third-party libraries of pure functions: libsodium without its generator of random bytes (test/tidy looks for that).
set(WEAVE_PURE_LINKS weave_deps::sodium)

function(weave_check_edges room deps pure)
  if(NOT DEFINED WEAVE_MAY_USE_${room})
    message(FATAL_ERROR "weave: room \"${room}\" is not in the table of cmake/WeaveLibrary.cmake")
  endif()
  foreach(dep IN LISTS deps)
    if(NOT dep IN_LIST WEAVE_MAY_USE_${room})
      message(FATAL_ERROR "weave: ${room} may not use ${dep} (it may use: ${WEAVE_MAY_USE_${room}})")
    endif()
    if(NOT TARGET weave_${dep})
      message(FATAL_ERROR "weave: ${room} uses ${dep}, which is not defined yet: edges point downwards only")
    endif()
    get_target_property(dep_pure weave_${dep} WEAVE_PURE)
    if(pure AND NOT dep_pure)
      message(FATAL_ERROR "weave: ${room} is pure and may not use ${dep}, which is not")
    endif()
  endforeach()
endfunction()

function(weave_common_properties target)
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}/gen")
  target_compile_options(${target} PRIVATE ${WEAVE_WARNINGS})
endfunction()

function(weave_library room)
  cmake_parse_arguments(ARG "PURE" "" "SOURCES;DEPS;LINK;PCH" ${ARGN})
  weave_check_edges(${room} "${ARG_DEPS}" "${ARG_PURE}")
  if(ARG_PURE)
    foreach(link IN LISTS ARG_LINK)
      if(NOT link IN_LIST WEAVE_PURE_LINKS)
        message(FATAL_ERROR "weave: ${room} is pure and may not link ${link}")
      endif()
    endforeach()
  endif()
  add_library(weave_${room} STATIC ${ARG_SOURCES})
  add_library(weave::${room} ALIAS weave_${room})
  set_target_properties(weave_${room} PROPERTIES WEAVE_PURE "${ARG_PURE}")
  weave_common_properties(weave_${room})
  list(TRANSFORM ARG_DEPS PREPEND weave::)
  target_link_libraries(weave_${room} PUBLIC ${ARG_DEPS} ${ARG_LINK} weave_deps::absl)
  # Sanitizers make the optimiser slow. What waits for the kernel most of the time does without it.
  if(WEAVE_SANITIZE AND NOT ARG_PURE)
    target_compile_options(weave_${room} PRIVATE -O0)
  endif()
  # Pure rooms go without: what they include must stand in their files, where test/tidy looks.
  if(NOT ARG_PURE AND NOT room STREQUAL "proto")
    target_precompile_headers(weave_${room} PRIVATE <memory> <optional> <string> <vector> [["absl/status/statusor.h"]]
      [["absl/strings/str_cat.h"]] [["absl/functional/any_invocable.h"]] ${ARG_PCH})
  endif()
endfunction()

# A program of a room: its main.cc and what it links.
function(weave_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  weave_common_properties(${name})
  list(TRANSFORM ARG_DEPS PREPEND weave::)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
endfunction()
