# Debian 12 packages (scripts/packages lists them) as imported targets under weave_deps::.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# gRPC, protobuf and abseil come as some sixty shared objects; loading those costs a short-lived program more than its
# work and a daemon megabytes. Debian ships the archives too: link them, keep only what is used.
function(weave_static_dependency name)
  set(options)
  cmake_parse_arguments(ARG "" "" "MODULES;SHARED" ${ARGN})
  pkg_check_modules(PC_${name} REQUIRED ${ARG_MODULES})
  set(archives)
  foreach(library IN LISTS PC_${name}_STATIC_LIBRARIES)
    if(library IN_LIST ARG_SHARED)
      continue()
    endif()
    find_library(WEAVE_ARCHIVE_${library} "lib${library}.a")
    if(WEAVE_ARCHIVE_${library})
      list(APPEND archives "${WEAVE_ARCHIVE_${library}}")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES archives)
  add_library(weave_deps_${name} INTERFACE)
  add_library(weave_deps::${name} ALIAS weave_deps_${name})
  target_include_directories(weave_deps_${name} SYSTEM INTERFACE ${PC_${name}_STATIC_INCLUDE_DIRS})
  target_link_libraries(weave_deps_${name} INTERFACE -Wl,--start-group ${archives} -Wl,--end-group Threads::Threads rt)
endfunction()

weave_static_dependency(absl
  MODULES absl_status absl_statusor absl_strings absl_str_format absl_time absl_synchronization absl_btree
          absl_flat_hash_map absl_hash absl_int128 absl_span
  SHARED pthread rt dl m)
weave_static_dependency(protobuf MODULES protobuf SHARED pthread rt dl m z)
target_link_libraries(weave_deps_protobuf INTERFACE z)
# OpenSSL too: gRPC brings it, nothing here speaks TLS, and as shared objects it is a third of what a short-lived program
# spends before main().
weave_static_dependency(grpc MODULES grpc++ SHARED pthread rt dl m z atomic)
target_link_libraries(weave_deps_grpc INTERFACE weave_deps_protobuf z dl)

weave_static_dependency(re2 MODULES re2 SHARED pthread rt dl m)

function(weave_shared_dependency name)
  cmake_parse_arguments(ARG "" "" "MODULES;LIBRARIES" ${ARGN})
  add_library(weave_deps_${name} INTERFACE)
  add_library(weave_deps::${name} ALIAS weave_deps_${name})
  if(ARG_MODULES)
    pkg_check_modules(PC_${name} REQUIRED IMPORTED_TARGET ${ARG_MODULES})
    target_link_libraries(weave_deps_${name} INTERFACE PkgConfig::PC_${name})
  endif()
  target_link_libraries(weave_deps_${name} INTERFACE ${ARG_LIBRARIES})
endfunction()

weave_shared_dependency(boost LIBRARIES Threads::Threads)  # Asio and Beast: headers only
target_compile_definitions(weave_deps_boost INTERFACE BOOST_ERROR_CODE_HEADER_ONLY)
weave_shared_dependency(json MODULES nlohmann_json)
weave_shared_dependency(sqlite MODULES sqlite3)
weave_shared_dependency(nl MODULES libnl-3.0 libnl-route-3.0)
weave_shared_dependency(sodium MODULES libsodium)
weave_shared_dependency(spdlog MODULES spdlog)
weave_shared_dependency(systemd MODULES libsystemd)
weave_shared_dependency(zlib MODULES zlib)
weave_shared_dependency(prometheus MODULES prometheus-cpp-core)
weave_shared_dependency(cli11 MODULES CLI11)

find_program(WEAVE_PROTOC protoc REQUIRED)
find_program(WEAVE_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
